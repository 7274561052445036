import pika
import json

def create_task_via_rabbitmq():
    connection = pika.BlockingConnection(pika.ConnectionParameters('rabbitmq'))
    channel = connection.channel()
    channel.queue_declare(queue='task_queue')

    task = {
        'status': 'New'
    }

    channel.basic_publish(
        exchange='',
        routing_key='task_queue',
        body=json.dumps(task)
    )

    connection.close()
